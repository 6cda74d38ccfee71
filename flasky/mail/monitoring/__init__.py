"""Answer load balancers and Prometheus."""
