"""What a sync costs, beside other ways of doing it: `make bench`. See docs/performance.md."""
