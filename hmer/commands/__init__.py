"""The commands of `hmer`, one module each; `hmer.cli` puts them together."""
