"""What the command line's profiles set, where an option is not given; light to import."""

PROFILES = {
    "smoke": dict(image_size1=16, image_size2=32, width=8, D1_dim=16, G2_dim=32, batch_size=16,
                  pictures=200, steps1=6, steps2=6, ema_decay=0.99),
    "laptop": dict(image_size1=32, image_size2=64, width=32, D1_dim=128, G2_dim=64, batch_size=32,
                   pictures=4000, steps1=1000, steps2=900, lrG1=2e-3, lrG2=2e-3, lrD1=2e-3,
                   lrD2=2e-3, ema_decay=0.99),
    "gpu": {},
}  # fmt: skip


def in_words(profile: str) -> str:
    """The values of a profile, as a help text says them."""
    return ", ".join(f"{name} {value}" for name, value in PROFILES[profile].items())
