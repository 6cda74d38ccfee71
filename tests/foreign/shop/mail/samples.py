def welcome(text):
    return {"name": text}
