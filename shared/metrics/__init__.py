"""What operators watch: every metric has its name, its labels and its meaning here, whichever process counts it."""
