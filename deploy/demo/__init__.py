"""`make demo`: a district from YAML to merged rows, on a real cluster. Run it as `python -m deploy.demo`."""
