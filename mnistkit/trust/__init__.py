"""How far a trained model can be trusted: calibration, corruptions, disputed labels."""
