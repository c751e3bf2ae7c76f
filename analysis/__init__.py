"""From the run store to tables, figures and a report; needs no training code."""
