"""What Consul knows, kept at hand: advice that no request ever waits for."""
