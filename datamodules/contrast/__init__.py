"""Contrastive translation: pairs of a right and a wrong sentence, and the German words they are made with."""
