"""What takes longer than a chapter may: the measurements behind observations, stored for them."""
