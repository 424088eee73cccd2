"""What the project is developed with: demo, benchmarks, installer and scripts."""
