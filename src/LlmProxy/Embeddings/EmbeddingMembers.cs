using LlmProxy.ChatCompletions;

namespace LlmProxy.Embeddings;

/// <summary>The members that route and bill an embedding.</summary>
internal static class EmbeddingMembers
{
    public static RequestMember Recognise(ReadOnlySpan<byte> name, out string text)
    {
        if (name.SequenceEqual("input"u8))
        {
            text = "input";
            return RequestMember.EmbeddingInput;
        }
        return MemberNames.RecogniseCommon(name, hasOutput: false, out text);
    }
}
