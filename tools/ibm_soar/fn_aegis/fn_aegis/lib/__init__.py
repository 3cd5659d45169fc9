"""What the functions share. `aegis_client`, the thin client, is put beside this file when the app is built."""
