"""What a federation shows of itself: who holds what, who could read what, where the budget stands."""
