package publisher
