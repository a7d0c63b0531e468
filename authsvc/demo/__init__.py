"""What `make run` shows a newcomer: a portal, a microservice, an inbox. Development only."""
