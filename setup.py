"""Packages are listed by name, since ``consul/``, ``docker/``, ``logging/`` and ``rabbitmq/`` hold no Python."""

from setuptools import find_packages, setup

setup(packages=find_packages(include=["edge*", "rpc_services*", "shared*", "kirana*", "shipper*"]))
