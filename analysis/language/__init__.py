"""Language models: loss, and what each gains from what came before."""
