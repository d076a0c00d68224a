"""Trees whose nodes ask columns of several owners: what SecureBoost is made of."""
