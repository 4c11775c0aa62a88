"""Steps of this service's database from one version to the next."""
