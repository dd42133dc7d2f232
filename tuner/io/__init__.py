"""Files: written whole, kept on a disk or in a bucket, tried again while the storage is away."""
