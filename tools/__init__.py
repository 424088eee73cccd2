"""Development tools: demo, benchmarks, installation and scripts."""
