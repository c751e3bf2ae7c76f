"""Language models: what does each gain from what came before?"""
