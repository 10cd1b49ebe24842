"""What a store keeps: what runs hold, and what nobody needs."""
