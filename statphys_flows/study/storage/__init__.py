"""What a study keeps on disk: files that are whole, runs that go on."""
