"""Sample photos of toys that never were: modelled as distance fields, lit and path traced by this package.

The ``*.jpg`` files beside this module are what everything else uses. The modules are run by hand
(``python -m infra.local.samples.make_samples``) when a picture should change, and are imported by nothing
else, since they need numpy and numba.
"""
