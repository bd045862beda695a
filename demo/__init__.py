"""The Gradio demo of ftim."""
