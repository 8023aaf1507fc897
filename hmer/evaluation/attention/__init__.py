"""Where the recogniser looks: on ink, on informative symbols, on the symbol that it writes."""
