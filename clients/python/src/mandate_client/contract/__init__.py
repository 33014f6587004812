"""The contract, generated from proto/mandate/v1 by scripts/generate.sh."""
