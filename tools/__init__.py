"""What the project is developed with: demo, benchmarks, installation and scripts."""
