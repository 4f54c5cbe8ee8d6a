"""What errors mean, and what to do about them: tables, and one function that reads them."""
