"""How a claim is judged (verdict.py) and shown (ledger.py); the claims are in each question's claims.py."""
