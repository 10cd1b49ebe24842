"""What people see and decide: `gate` keeps decisions, `sheet` and `proxy` are looked at."""
