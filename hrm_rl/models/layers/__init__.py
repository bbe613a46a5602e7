"""What the networks are built from: linear maps, positions, attention, blocks, embeddings."""
