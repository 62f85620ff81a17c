"""OneRoster CSV 1.1 and 1.2: bundles of files, read, validated and written."""
