"""Vendors' servers as they are met in the field, each a real one over the sample district with its vendor's habits."""
