"""Two stages for Kirana's edge: partners that are known by a key, and answers in XML."""
