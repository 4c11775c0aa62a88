"""One answer out of several: parts that are asked at the same time and put together in their declared order."""
