def write(found, path):
    import json
    open(path+".json","w").write(json.dumps(found, indent=1))
