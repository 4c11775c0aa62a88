"""Calls to the services over AMQP, in the protocol that Nameko speaks."""
