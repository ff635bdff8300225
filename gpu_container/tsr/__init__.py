"""The TripoSR network: a photo to a triplane, and the Field that a triplane stands for."""
