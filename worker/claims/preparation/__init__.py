"""What jobs need besides their record, read before they reach the step loop."""
