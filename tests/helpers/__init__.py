"""What tests are built from: tiny runs, small models, fakes."""
