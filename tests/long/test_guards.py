"""Every guard is needed: without it, the test that speaks for it fails.

Each guard is taken out of a copy of the program, by changing one line of it.
"""

import shutil
import subprocess
import sys

import pytest
from small_run import ROOT

FAILED = 1  # pytest's status where tests ran, and some of them failed.

# What it guards against: (file, its line, without it, the test).
GUARDS = {
    "a damaged checkpoint": (
        "hcm_tf/runs/checkpoint.py",
        "reason = damage(_prefix(run_dir, step))",
        "reason = None",
        "runs/test_damaged_checkpoints.py::test_training_goes_on_from_the_one_before",
    ),
    "a checkpoint of numbers that are not finite": (
        "hcm_tf/runs/checkpoint.py",
        "if dtype.is_floating and not np.isfinite(value).all():",
        "if False:",
        "runs/test_damaged_checkpoints.py::test_weights_that_are_not_finite_are_damage",
    ),
    "half a checkpoint, of a killed save": (
        "hcm_tf/runs/checkpoint.py",
        "shutil.rmtree(unfinished)",
        "pass",
        "runs/test_damaged_checkpoints.py::test_what_a_killed_save_has_left_is_removed",
    ),
    "going back to step 0": (
        "hcm_tf/runs/checkpoint.py",
        "if damaged and not step:",
        "if damaged and step is None:",
        "runs/test_damaged_checkpoints.py::test_damage_never_leads_back_to_step_0",
    ),
    "two processes in one directory": (
        "hcm_tf/runs/lock.py",
        "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "pass",
        "runs/test_lock.py::test_another_process_holds_it_until_it_is_killed",
    ),
    "a step that is not finite": (
        "hcm_tf/training/trainer.py",
        "wrong = replicas.any_of(tf.logical_not(tf.reduce_all(finite)))",
        "wrong = tf.constant(False)",
        "training/test_trainer.py::test_a_batch_that_is_not_finite_moves_nothing",
    ),
    "steps in a row that are not finite": (
        "hcm_tf/runs/divergence.py",
        "if self.left_out == IN_A_ROW:",
        "if False:",
        "runs/test_divergence.py::test_five_steps_in_a_row_are_divergence",
    ),
    "weights that are not finite": (
        "hcm_tf/runs/divergence.py",
        "if not is_finite:",
        "if False:",
        "runs/test_divergence.py::test_one_number_of_any_variable_is_found",
    ),
    "an end where going back would help": (
        "hcm_tf/runs/experiment.py",
        "for _ in range(RETREATS):",
        "for _ in range(0):",
        "runs/test_faults.py::test_after_five_it_goes_back_with_half_the_rate",
    ),
    "other images": (
        "hcm_tf/runs/experiment.py",
        "run_directory.check_data(workdir, images)",
        "pass",
        "runs/test_resuming.py::test_images_that_have_changed_are_named",
    ),
    "lines of steps that will come again": (
        "hcm_tf/runs/callbacks.py",
        "forget_after(self.path, self.first_step)",
        "pass",
        "runs/test_resuming.py::test_a_stopped_run_goes_on_to_the_same_weights",
    ),
    "signals": (
        "hcm_tf/runs/callbacks.py",
        "number: signal.signal(number, self.on_signal)",
        "number: signal.getsignal(number)",
        "runs/test_resuming.py::test_a_stopped_run_goes_on_to_the_same_weights",
    ),
    "checkpoints too rare": (
        "hcm_tf/runs/callbacks.py",
        "late = time.monotonic() - self.saved_at >= self.seconds",
        "late = False",
        "runs/test_resuming.py::test_checkpoints_by_time",
    ),
    "a full disk": (
        "hcm_tf/runs/run_directory.py",
        "except (OSError, tf.errors.OpError) as error:",
        "except ZeroDivisionError as error:",
        "runs/test_faults.py::test_a_full_disk_is_one_line_and_loses_nothing",
    ),
    "reads before or after an update, by chance": (
        "hcm_tf/runs/devices.py",
        'set_experimental_options({"dependency_optimization": False})',
        'set_experimental_options({"dependency_optimization": True})',
        "training/test_read_order.py::test_every_read_has_its_place",
    ),
    "workers with other flags": (
        "hcm_tf/runs/experiment.py",
        "zlib.crc32(json.dumps(same, sort_keys=True).encode()),",
        "0,",
        "runs/test_workers.py::test_workers_with_different_flags_are_refused",
    ),
    "one worker that stops alone": (
        "hcm_tf/runs/callbacks.py",
        "number = self.workers.most(own)",
        "number = own",
        "runs/test_workers.py::test_a_signal_to_one_stops_both",
    ),
    "workers that write beside the chief": (
        "hcm_tf/runs/workers.py",
        "self.is_chief = self.index == 0",
        "self.is_chief = True",
        "runs/test_workers.py::test_a_session_of_two_goes_on_with_what_one_saved",
    ),
    "images that two workers take": (
        "hcm_tf/runs/workers.py",
        "return slice(self.index * own, (self.index + 1) * own)",
        "return slice(0, own)",
        "runs/test_workers.py::test_every_image_of_an_epoch_goes_to_one_worker",
    ),
    "a traceback where a worker is lost": (
        "hcm_tf/runs/workers.py",
        "if known is None or not _is_loss(error):",
        "if True:",
        "runs/test_workers.py::test_a_killed_worker_ends_the_other_and_both_go_on",
    ),
    "going on before all workers are there": (
        "hcm_tf/runs/meeting.py",
        "if not missing:",
        "if True:",
        "runs/test_meeting.py::test_nobody_goes_on_before_the_last_one_comes",
    ),
    "half a set of images": (
        "hcm_tf/data/entry.py",
        "shutil.rmtree(partial, ignore_errors=True)",
        "pass",
        "data/test_entry.py::test_an_interrupted_reading_leaves_nothing",
    ),
    "files of images that are cut short": (
        "hcm_tf/data/entry.py",
        "if array.shape != shape or array.dtype != kind:",
        "if False:",
        "data/test_entry.py::test_a_damaged_entry_is_not_read_and_stored_anew",
    ),
    "a copy of all images in memory": (
        "hcm_tf/data/batches.py",
        "count = len(images)",
        "count = len(images := np.array(images))",
        "data/test_batches.py::test_the_images_are_not_copied",
    ),
    "images that fit nowhere": (
        "hcm_tf/data/cache.py",
        "if needed > free:",
        "if False:",
        "data/test_cache.py::test_images_that_fit_nowhere_are_one_line",
    ),
    "enormous images, in a folder": (
        "hcm_tf/data/image_file.py",
        "if image.width * image.height > MAXIMUM_PIXELS:",
        "if False:",
        "data/test_image_file.py::test_too_many_pixels_are_named_and_not_decoded",
    ),
    "enormous images, at a server": (
        "export/images.py",
        "few = height <= MAXIMUM_PIXELS // tf.maximum(width, 1)",
        "few = height >= 0",
        "export/test_image_files.py::"
        "test_too_many_pixels_are_refused_before_they_are_decoded",
    ),
    "photographs that lie on their side": (
        "hcm_tf/data/image_file.py",
        "return ImageOps.exif_transpose(image)",
        "return image.copy()",
        "data/test_image_file.py::test_every_reader_turns_as_pillow_does",
    ),
}


@pytest.mark.parametrize("guard", GUARDS)
def test_it_is_there_and_has_a_test(guard):
    name, line, _, test = GUARDS[guard]
    assert (ROOT / name).read_text().count(line) == 1
    file, _, function = test.partition("::")
    text = (ROOT / "tests" / file).read_text()
    assert f"def {function.partition('[')[0]}(" in text


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The program and its tests."""
    directory = tmp_path_factory.mktemp("copy")
    for name in ("hcm_tf", "export", "configs", "pretrained", "tests"):
        shutil.copytree(ROOT / name, directory / name)
    for name in ("train_main.py", "pyproject.toml"):
        shutil.copy(ROOT / name, directory)
    return directory


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("guard", GUARDS)
def test_without_it_a_test_fails(guard, copy):
    name, line, without, test = GUARDS[guard]
    path = copy / name
    source = path.read_text()
    path.write_text(source.replace(line, without))
    try:
        done = subprocess.run(
            # Some of them are long as well.
            [sys.executable, "-m", "pytest", "-x", "-m", "", f"tests/{test}"],
            cwd=copy,
            capture_output=True,
            text=True,
        )
    finally:
        path.write_text(source)
    assert done.returncode == FAILED, done.stdout[-3000:]
    print(f"{guard}: {test} fails")
