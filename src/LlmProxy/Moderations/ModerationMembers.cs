using LlmProxy.ChatCompletions;

namespace LlmProxy.Moderations;

/// <summary>The members that route and bill a moderation.</summary>
internal static class ModerationMembers
{
    public static RequestMember Recognise(ReadOnlySpan<byte> name, out string text)
    {
        if (name.SequenceEqual("input"u8))
        {
            text = "input";
            return RequestMember.ModerationInput;
        }
        return MemberNames.RecogniseCommon(name, hasOutput: false, out text);
    }
}
