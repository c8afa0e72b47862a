"""Model files as XGBoost writes them (JSON), with trees of our own."""
import json

NO_PARENT = 2147483647


def leaf(value):
    return {"value": value}


def split(column, threshold, left, right, missing_left=True):
    return {"column": column, "value": threshold, "left": left, "right": right, "missing_left": missing_left}


def stump(column, threshold, below, otherwise):
    return split(column, threshold, leaf(below), leaf(otherwise))


def chain(depth, columns, number=0):
    """A tree that is as deep, for a file that is as large."""
    node = leaf(number + 0.5)
    for level in range(depth):
        node = split((level + number) % columns, level + 0.25, leaf(0.001 * level), node)
    return node


def flatten(root):
    """Nodes in XGBoost's arrays, parents before children."""
    nodes, parents, left, right = [root], [NO_PARENT], [], []
    for place, node in enumerate(nodes):        # grows while it is walked
        if "left" not in node:
            left.append(-1)
            right.append(-1)
            continue
        for side, places in (("left", left), ("right", right)):
            places.append(len(nodes))
            parents.append(place)
            nodes.append(node[side])
    return nodes, parents, left, right


def tree(number, root, columns):
    nodes, parents, left, right = flatten(root)
    return {"id": number, "left_children": left, "right_children": right, "parents": parents,
            "split_indices": [node.get("column", 0) for node in nodes],
            "split_conditions": [node["value"] for node in nodes],
            "default_left": [int(node.get("missing_left", False)) for node in nodes],
            "split_type": [0] * len(nodes), "sum_hessian": [1.0] * len(nodes), "base_weights": [0.0] * len(nodes),
            "loss_changes": [0.0] * len(nodes), "categories": [], "categories_nodes": [], "categories_segments": [],
            "categories_sizes": [],
            "tree_param": {"num_deleted": "0", "num_feature": str(columns), "num_nodes": str(len(nodes)),
                           "size_leaf_vector": "0"}}


def document(columns, roots, names=(), objective="reg:squarederror", booster="gbtree", classes=0):
    trees = [tree(number, root, columns) for number, root in enumerate(roots)]
    model = {"model": {"gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(len(trees)),
                                              "size_leaf_vector": "0"},
                       "tree_info": [0] * len(trees), "trees": trees}, "name": "gbtree"}
    if booster == "dart":
        model = {"gbtree": model, "name": "dart", "weight_drop": [1.0] * len(trees)}
    return {"learner": {"attributes": {}, "feature_names": list(names), "feature_types": [],
                        "gradient_booster": model,
                        "learner_model_param": {"base_score": "5E-1", "num_class": str(classes),
                                                "num_feature": str(columns), "num_target": "1"},
                        "objective": {"name": objective}},
            "version": [1, 7, 4]}


def text(columns, roots, **options):
    return json.dumps(document(columns, roots, **options))
