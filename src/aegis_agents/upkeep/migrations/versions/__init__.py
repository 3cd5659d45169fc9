"""The revisions, named by the version of the tables that each leads to."""
