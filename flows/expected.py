"""The metrics that an experiment is going to have, by its settings as they are written."""

from collections.abc import Mapping
from typing import Any

from tasks.measured import attack_names


def expected(experiment: Mapping[str, Any]) -> list[str]:
    """Return the metrics that an experiment's settings ask for."""
    asked, names = experiment["evaluate"], ["nearest_training"]
    if "quadrature" in asked:
        log_z = ["log_z_error"] if experiment["learner"] == "noise_contrastive" else []
        distance = f"energy_distance_{asked['against']}"
        return ["kl_data_model", "kl_model_data", *log_z, "rim_mass", distance]
    if "molecules" in asked:
        return molecular(asked)
    if "gallery" in asked:
        return [f"anomaly_{f}_{s}" for s in "ab" for f in ("ap", "trapezoid", "lift", "auroc")]
    if "models" in asked:
        end = "" if asked["against"] == "test" else f"_{asked['against']}"
        best = f"{experiment['sample']['count']}_"
        kinds = [f"{e}_{best}{how}" for how in ("independent", "by_plan") for e in ("ade", "fde")]
        return [kind + how + end for how in ("", "_spread") for kind in kinds]
    networks = {
        "cnn": f"{experiment['dataset']}_cnn{asked.get('feature_width')}",
        "pixels": "pixels8",
        "inception": "inception",
    }
    used = [networks[name] for name in asked.get("networks", ["cnn"])]
    if networks["cnn"] in used:
        names = [f"frechet_{networks['cnn']}", f"inception_score_{networks['cnn']}", *names]
    to = "_train" if asked.get("fid") == "train" else ""
    names += [f"fid_{experiment['sample']['count']}{to}"] if asked.get("fid") else []
    measures = {
        "kid": ["kid"],
        "precision_recall": ["precision", "recall"],
        "one_nn": ["one_nn_accuracy"],
    }
    more = [metric for key, metrics in measures.items() if asked.get(key) for metric in metrics]
    names += [f"{metric}_{network}" for network in used for metric in more]
    labels = (experiment.get("classify") or {}).get("labels", [])
    names += [f"error_{count}_labels" for count in labels]
    if (experiment.get("classify") or {}).get("fine_tune"):
        names += [f"error_{count}_labels_fine_tuned" for count in labels]
        names += [f"margin_{count}_labels" for count in labels]
    return names + applied(experiment.get("apply") or {})


def molecular(asked: Mapping[str, Any]) -> list[str]:
    """Return the metrics of molecules."""
    shares = ("valid", "unique_of_valid", "unique_of_all", "novel_of_unique", "novel_of_all")
    distances = [f"distance_{name}" for name in ("qed", "log_p", "weight")]
    fcd = f"fcd_{asked['molecules']['chemnet']}"
    names = [*shares, "unique_of_valid_pooled", fcd, *distances, "nats_inferred"]
    return names if asked["against"] == "test" else [f"{each}_validation" for each in names]


def applied(asked: Mapping[str, Any]) -> list[str]:
    """Return the metrics of the applications that the settings ask for."""
    given = asked.get("inpaint", {}).get("masks", [])
    masks = [mask["name"] if isinstance(mask, Mapping) else mask for mask in given]
    names = [f"inpaint_{f}_{mask}" for mask in masks for f in ("mse", "psnr", "spread")]
    names += ["interpolate_largest_step"] if "interpolate" in asked else []
    if "reconstruct" in asked:
        sets = ["test", "train", asked["reconstruct"].get("other")]
        names += [f"reconstruct_mse_{each}" for each in sets if each]
        names += ["reconstruct_start_size"]
    if "long_chains" in asked:
        figures = ("contrast", "variety", "saturated", "distance", "score")
        names += [f"long_chains_{f}_{side}" for side in ("noise", "data") for f in figures]
    names += [f"moments_gap_{k}" for k in ("short", "long") if "moments" in asked]
    sides = [f"{figure}_{of}" for figure in ("correlation", "error") for of in ("samples", "modes")]
    names += [f"hopfield_{side}" for side in sides if "hopfield" in asked]
    views = ("fitted", "unfitted", "noise")
    names += [f"statistics_ratio_{view}" for view in views if "statistics" in asked]
    names += ["statistics_acceptance"] if asked.get("statistics", {}).get("acceptance") else []
    ends = ("k", "long") if "conditional_chains" in asked else ()
    names += [f"conditional_chains_{of}_{end}" for of in ("steady", "contrast") for end in ends]
    names += classified(asked["classifier"]) if "classifier" in asked else []
    names += [f"rounds_accuracy_{w}" for w in ("first", "last") if "rounds" in asked]
    names += latents(asked["latent"]) if "latent" in asked else []
    return names + (translations(asked["translate"]) if "translate" in asked else [])


def latents(asked: Mapping[str, Any]) -> list[str]:
    """Return the metrics of a latent-space model's application."""
    names = ["latent_mse", *(f"latent_hole_mse_{mask}" for mask in asked["masks"])]
    names += ["latent_long_spread", "latent_long_contrast"] if asked.get("long") else []
    names += ["latent_log_likelihood"] if asked.get("likelihood") else []
    return names if asked["against"] == "test" else [f"{each}_validation" for each in names]


def classified(asked: Mapping[str, Any]) -> list[str]:
    """Return the metrics of the application `classifier`."""
    names = ("accuracy", "calibration_error", "log_loss", "auroc_density", "auroc_confidence")
    attacked = attack_names(asked["norm"], asked["sizes"])
    found = [*(f"classifier_{name}" for name in names), *attacked]
    return found if asked["against"] == "test" else [f"{each}_validation" for each in found]


def translations(asked: Mapping[str, Any]) -> list[str]:
    """Return the metrics of translations."""
    kinds = ("edges", "own_nearest", "nearest_training", "kid_pixels8", "kid_efficientnet_lite0")
    suffix = "" if asked["against"] == "test" else f"_{asked['against']}"
    return [f"translate_{kind}{suffix}" for kind in kinds]
