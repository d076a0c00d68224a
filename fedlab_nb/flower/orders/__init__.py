"""What crosses between the server's process and a party's: orders there, sealed numbers and public keys back."""
