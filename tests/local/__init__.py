"""Tests of the local cluster tool, deploy/local."""
