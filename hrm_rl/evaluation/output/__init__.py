"""What an evaluation leaves beside its table: pictures, files, and what search adds."""
