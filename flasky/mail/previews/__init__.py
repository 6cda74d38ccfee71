"""Show and check each kind of mail before anybody gets it."""
