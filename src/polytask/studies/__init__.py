"""What is learned from runs: reports and experiments made of many of them."""
